// Chromium as a visitor has it, driven over DevTools by nothing but what a visit needs.
import { createHash } from "node:crypto";
import { ALONE, launch } from "../client/test/devtools.mjs";
import { options } from "./options.mjs";
import { aFew, LOAD_TIMEOUT_MS, VIEWPORT, WATCH, wait } from "./visit.mjs";

/** Milliseconds after a click after which it leads to no page. */
const CLICK_LEADS_MS = 2_000;
/** How often it is looked at, in milliseconds. */
const POLL_MS = 100;

const FLAGS = [
  ...ALONE,
  // By default the HTTP cache, and the largest entry it takes, are as large as the disk has room.
  "--disk-cache-size=1073741824",
  "--disable-extensions",
  "--no-default-browser-check",
  "--mute-audio",
  // Service workers need a secure context, and nobody has certificates for made-up addresses.
  `--unsafely-treat-insecure-origin-as-secure=${options.secure.join(",")}`,
];

/** Nothing but the site and the node is there: what pages want of others fails at once instead of when names time out. */
const NOBODY_ELSE = [
  "MAP * ~NOTFOUND",
  ...options.secure.map((origin) => `EXCLUDE ${new URL(origin).hostname}`),
].join(", ");

/** What a browser is started with; one that is online finds the whole Internet. */
export function flags(online) {
  return online ? FLAGS : [...FLAGS, `--host-resolver-rules=${NOBODY_ELSE}`];
}

/** Opens a browser with a profile, to be left alone as far as can be. */
export function openBare({ profile, chromium: executable }) {
  return launch({ executable, profile, flags: [...flags(false), "--no-sandbox"] });
}

/** Opens one for a visit. */
export async function openChromium(order) {
  const browser = await openBare(order);
  const newPage = async () => visitorsPage(await browser.newPage());
  try {
    return { first: await visitorsPage(browser.first), newPage, close: browser.close };
  } catch (error) {
    await browser.close();
    throw error;
  }
}

async function visitorsPage(page) {
  await page.send("Emulation.setDeviceMetricsOverride", { ...VIEWPORT, deviceScaleFactor: 1, mobile: false });
  await page.send("Page.addScriptToEvaluateOnNewDocument", { source: WATCH });
  await Promise.all(["Runtime", "Log", "Network"].map((domain) => page.send(`${domain}.enable`)));
  return {
    evaluate: page.evaluate,
    go(url, from, link) {
      const byName = () => page.send("Page.navigate", { url, ...(from && { referrer: from }) });
      return page.load(() => (link ? click(page, link, url, byName) : byName()), LOAD_TIMEOUT_MS);
    },
    hear: () => hear(page),
  };
}

function hear(page) {
  const responses = new Map();
  const errors = [];
  const deaf = page.listen((event, said) => {
    if (event === "Network.requestWillBeSent" && said.request.method === "GET") responses.set(said.requestId, undefined);
    if (event === "Network.responseReceived" && responses.has(said.requestId)) responses.set(said.requestId, said);
    if (event === "Runtime.exceptionThrown") errors.push(thrown(said.exceptionDetails));
    if (event === "Runtime.consoleAPICalled" && said.type === "error") errors.push(logged(said));
    if (event === "Log.entryAdded" && said.entry.level === "error") errors.push(`${said.entry.text} (${said.entry.url ?? ""})`);
  });
  const got = () => [...responses.values()].filter((response) => response !== undefined);
  return { errors, deaf, bodies: () => bodiesOf(page, got()) };
}

/** What a page threw, by its first line: the others say where in the page. */
function thrown({ exception, text }) {
  return (exception?.description ?? String(exception?.value ?? text)).split("\n")[0];
}

function logged({ args, stackTrace }) {
  const words = args.map((arg) => arg.description ?? String(arg.value));
  return `${words.join(" ")} (${stackTrace?.callFrames[0]?.url ?? ""})`;
}

/** Clicks as people do, on a link that leads to a page. Where something else comes of it, `instead` is done. */
async function click(page, place, url, instead) {
  let leads = false;
  const deaf = page.listen((event, said) => {
    if (event === "Page.frameStartedNavigating" && said.url.split("#")[0] === url) leads = true;
  });
  const mouse = (type) => page.send("Input.dispatchMouseEvent", { type, ...place, button: "left", clickCount: 1 });
  await mouse("mouseMoved");
  await wait(options.rest_ms);
  await mouse("mousePressed");
  await wait(options.press_ms);
  await mouse("mouseReleased");
  for (const end = Date.now() + CLICK_LEADS_MS; !leads && Date.now() < end; ) await wait(POLL_MS);
  deaf();
  return leads ? undefined : instead();
}

/** Digests of some bodies, as the page got them: the browser keeps them for its inspector, nothing is asked for again. */
async function bodiesOf(page, responses) {
  const assets = responses.filter(
    ({ type, response }) => response.url.startsWith(options.origin) && response.status === 200 && type !== "Document",
  );
  const bodies = [];
  for (const { requestId, response } of aFew(assets)) {
    // A body that the browser no longer has cannot be compared; of a picture that it could not decode it keeps nothing.
    const found = await page.send("Network.getResponseBody", { requestId }).catch(() => undefined);
    if (!found?.body) continue;
    const body = Buffer.from(found.body, found.base64Encoded ? "base64" : "utf8");
    bodies.push({ url: response.url, sha256: createHash("sha256").update(body).digest("hex") });
  }
  return bodies;
}
