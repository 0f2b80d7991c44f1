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

/** What the browser and its visitor allow now. */
export function circumstances(off: Reason | undefined): Circumstances {
  const network = connection();
  const metered = network?.type === "cellular" || matchMedia("(prefers-reduced-data: reduce)").matches;
  return {
    off: off ?? null,
    alone: typeof RTCPeerConnection === "undefined" ? "no_webrtc" : null,
    selfish: network?.saveData ? "save_data" : metered ? "metered" : null,
  };
}

/** Says when that may have changed. */
export function onCircumstances(changed: () => void): void {
  connection()?.addEventListener("change", changed);
}
