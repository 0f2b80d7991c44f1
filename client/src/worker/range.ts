import type { ByteRange } from "../generated/ByteRange";

/** Reads a `Range` header of one range that begins somewhere; nothing for any other (RFC 9110, section 14.2). */
export function parseRange(header: string): ByteRange | undefined {
  const match = /^bytes=(\d+)-(\d*)$/.exec(header.trim());
  if (!match) return undefined;
  return { first: Number(match[1]), last: match[2] ? Number(match[2]) : null };
}

/** The bytes of a content that a range asks for, the end exclusive; nothing when there are none. */
export function bytesOf(range: ByteRange | null, size: number): { first: number; end: number } | undefined {
  if (!range) return { first: 0, end: size };
  const end = Math.min((range.last ?? size) + 1, size);
  return range.first < end ? { first: range.first, end } : undefined;
}
