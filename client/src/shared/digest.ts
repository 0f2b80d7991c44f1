/** Characters of a SHA-256 value as text. */
export const DIGEST_CHARS = 43;

/** The SHA-256 of some bytes, as unpadded URL-safe base64. */
export async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const text = btoa(String.fromCharCode(...hash));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
}
