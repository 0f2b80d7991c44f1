import type { Sample } from "./api";

/** What happened between two samples, a second. */
export interface Rate {
  /** Seconds since 1970. */
  at: number;
  crowd: number;
  /** Bytes a second by what answered, stacked in this order. */
  cache: number;
  peers: number;
  supernode: number;
  origin: number;
}

/** The rates between samples; a node that was started anew counts from nothing again. */
export function rates(samples: Sample[]): Rate[] {
  return samples.slice(1).map((sample, index) => {
    const before = samples[index] as Sample;
    const seconds = Math.max(1, sample.at_ms - before.at_ms) / 1000;
    const rate = (of: "cache" | "peers" | "supernode" | "origin") =>
      Math.max(0, sample.traffic.bytes[of] - before.traffic.bytes[of]) / seconds;
    return {
      at: sample.at_ms / 1000,
      crowd: sample.crowd,
      cache: rate("cache"),
      peers: rate("peers"),
      supernode: rate("supernode"),
      origin: rate("origin"),
    };
  });
}
