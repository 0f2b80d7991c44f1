const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes as people read them: three digits and a unit. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit + 1 < UNITS.length) {
    value /= 1000;
    unit += 1;
  }
  return `${digits(value, unit === 0)} ${UNITS[unit]}`;
}

/** A count with its thousands apart. */
export function count(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 0 });
}

/** A share in per cent; a dash where there is nothing to share. */
export function percent(part: number, whole: number): string {
  return whole > 0 ? `${digits((100 * part) / whole, part === 0)} %` : "–";
}

/** A reason as people read it. */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}

function digits(value: number, isWhole: boolean): string {
  if (isWhole || value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 9.995 ? 1 : 2);
}
