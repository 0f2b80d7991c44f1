/** Bytes of a SHA-256 value. */
export const DIGEST_BYTES = 32;
/** Characters of one as text. */
export const DIGEST_CHARS = 43;

/** The SHA-256 of some bytes, as unpadded URL-safe base64. */
export async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** Bytes as unpadded URL-safe base64. */
export function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace("=", "");
}
