import type { Shelf } from "../generated/Shelf";
import { digest } from "../shared/digest";
import type { Concern } from "./concerns";
import { leader } from "./link";
import { askNode, site } from "./node";
import { type Known, shelfLoaded } from "./shelf";
import { isLeftAlone } from "./supernode";

/** The node's word is believed for so long, in milliseconds: a purge is missed by no more than this. */
const WORD_MS = 5_000;
/** A node that has said nothing, or has no list, is not asked again for so long, in milliseconds. */
const SILENT_MS = 30_000;
/** What is admitted is named by so many characters: the first of the SHA-256 of its URL, a line's end, and its hash. */
const NAME_CHARS = 8;

/** What the node has said is admitted, by name, and until when that is believed. */
let word: Promise<Set<string> | undefined> | undefined;
let believedUntil = 0;

/**
 * Whether the node says that what is held under a URL is admitted now: whoever has no session may have missed a purge.
 * It is asked once for all that a page needs, and not at all for what is not held.
 */
export async function isStillAdmitted({ url }: Concern, { assets, shelf }: Known): Promise<boolean> {
  const asset = assets.get(url);
  if (!asset?.held || asset.fresh_until_ms <= Date.now()) return false;
  const name = await digest(new TextEncoder().encode(`${url}\n${asset.hash}`));
  return (await wordOf(shelf))?.has(name.slice(0, NAME_CHARS)) ?? false;
}

/**
 * Asks the node before anything is asked for: Chromium starts a worker beside a navigation, and what the page will ask for is
 * not known before its document is there. A tab that leads brings the session's word.
 */
export async function askAhead(): Promise<void> {
  const known = await shelfLoaded();
  if (!(await leader()) && known?.shelf.assets.some(({ held }) => held)) await wordOf(known.shelf);
}

/** What the node says is admitted, as far as it is asked at all. */
function wordOf({ supernode_ms }: Shelf): typeof word {
  if (supernode_ms === 0 || isLeftAlone()) return undefined;
  if (Date.now() >= believedUntil) {
    believedUntil = Date.now() + WORD_MS;
    word = admitted(supernode_ms);
  }
  return word;
}

async function admitted(patience: number): Promise<Set<string> | undefined> {
  try {
    const response = await askNode(`/mesh/admitted?site=${site ?? location.host}`, AbortSignal.timeout(patience));
    if (response.ok) return new Set((await response.text()).split("\n"));
  } catch {
    // It is as good as a node that has no list.
  }
  believedUntil = Date.now() + SILENT_MS;
  return undefined;
}
