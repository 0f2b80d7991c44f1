import type { Circumstances } from "../generated/Circumstances";
import type { Reason } from "../generated/Reason";

interface NetworkInformation extends EventTarget {
  saveData?: boolean;
  type?: string;
}

/** Present in Chromium only (https://developer.mozilla.org/docs/Web/API/NetworkInformation). */
function connection(): NetworkInformation | undefined {
  return (navigator as Navigator & { connection?: NetworkInformation }).connection;
}

function savesData(): boolean {
  return connection()?.saveData === true || matchMedia("(prefers-reduced-data: reduce)").matches;
}

/** What the browser and its visitor allow now. */
export function circumstances(off: Reason | undefined): Circumstances {
  const metered = connection()?.type === "cellular";
  return {
    off: off ?? null,
    alone: typeof RTCPeerConnection === "undefined" ? "no_webrtc" : null,
    selfish: savesData() ? "save_data" : metered ? "metered" : null,
  };
}

/** Says when that may have changed, until the signal ends it. */
export function onCircumstances(changed: () => void, signal: AbortSignal): void {
  connection()?.addEventListener("change", changed, { signal });
}
