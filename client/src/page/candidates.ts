/** Whether a candidate line tells a local address: a `.local` name, or one of the private ranges. */
export function isLocal(candidate: string): boolean {
  const address = candidate.split(" ")[4] ?? "";
  return (
    address.endsWith(".local") ||
    /^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address) ||
    /^(::1$|f[cd]|fe[89ab])/i.test(address)
  );
}

/** A session description without the candidates that tell a local address. */
export function withoutLocal(sdp: string): string {
  return sdp
    .split("\r\n")
    .filter((line) => !(line.startsWith("a=candidate:") && isLocal(line)))
    .join("\r\n");
}
