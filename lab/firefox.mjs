// Firefox as a visitor has it, for one visit: `node firefox.mjs OPTIONS ORDER`, in the network namespace of the visitor. It says
// what `visitors.mjs` says of a visit, and closes the browser when standard input ends.
import { createRequire } from "node:module";
import { options } from "./options.mjs";
import { aFew, LOAD_TIMEOUT_MS, VIEWPORT, visit, WATCH, wait } from "./visit.mjs";

const { default: puppeteer } = createRequire(options.client)("puppeteer-core");

/** Milliseconds after a click after which it leads to no page. */
const CLICK_LEADS_MS = 2_000;
/** Milliseconds that reading a body once more may take. */
const READ_TIMEOUT_MS = 10_000;
/** Milliseconds within which Firefox does what it is told, where that is not to load a page. */
const PROTOCOL_TIMEOUT_MS = 60_000;

const PREFERENCES = {
  // Service workers need a secure context, and nobody has certificates for made-up addresses.
  "dom.securecontext.allowlist": options.secure.map((origin) => new URL(origin).hostname).join(","),
  // Caches do not go by that list.
  "dom.caches.testing.enabled": true,
  // A page that counts as secure would have its pictures fetched over TLS.
  "security.mixed_content.upgrade_display_content": false,
  // Nothing but the site and the node is there: what pages want of others fails at once instead of when names time out.
  "network.dns.disabled": true,
};

let isOver = false;
let browser;
process.stdin.resume();
process.stdin.on("end", close);
process.on("SIGTERM", close);
await visit(JSON.parse(process.argv[3]), open, say, () => isOver);
process.exit();

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function open({ profile }) {
  browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: options.firefox,
    userDataDir: profile,
    extraPrefsFirefox: PREFERENCES,
    defaultViewport: VIEWPORT,
    // What a page asks for is not watched.
    networkEnabled: false,
    protocolTimeout: PROTOCOL_TIMEOUT_MS,
    // As root it starts only in a home and a session of root's own.
    env: { ...process.env, HOME: profile, XDG_RUNTIME_DIR: undefined, XAUTHORITY: undefined },
  });
  const newPage = async () => visitorsPage(await browser.newPage());
  const [first] = await browser.pages();
  return { first: first ? await visitorsPage(first) : await newPage(), newPage, close: () => browser.close() };
}

async function close() {
  isOver = true;
  await browser?.close().catch(() => {});
  process.exit();
}

async function visitorsPage(page) {
  await page.evaluateOnNewDocument(WATCH);
  // A page that asks its visitor something would wait for ever.
  page.on("dialog", (dialog) => dialog.dismiss().catch(() => {}));
  return {
    evaluate: (run, ...args) => page.evaluate(run, ...args),
    async go(url, _from, link) {
      if (link && (await follow(page, url, link))) return;
      await page.goto(url, { waitUntil: "load", timeout: LOAD_TIMEOUT_MS });
    },
    hear: () => hear(page),
  };
}

/** Clicks as people do, on a link; returns whether it has led to the page, which has loaded then. */
async function follow(page, url, { x, y }) {
  const loaded = page.waitForNavigation({ waitUntil: "load", timeout: LOAD_TIMEOUT_MS });
  // Where it leads nowhere, nobody waits for it.
  loaded.catch(() => {});
  await page.mouse.move(x, y);
  await wait(options.rest_ms);
  await page.mouse.down();
  await wait(options.press_ms);
  await page.mouse.up();
  const isThere = () => page.evaluate(() => location.href).then((href) => href.split("#")[0] === url);
  // Between two pages there is nothing to be asked.
  const leads = () => isThere().catch(() => true);
  await Promise.race([loaded, wait(CLICK_LEADS_MS)]);
  if (!(await leads())) return false;
  await loaded;
  return true;
}

function hear(page) {
  const errors = [];
  const said = (message) => message.type() === "error" && errors.push(`${message.text()} (${message.location().url ?? ""})`);
  const thrown = ({ message, stack }) => errors.push(`${message.split("\n")[0]} (${/\bhttp:[^\s)]+/.exec(stack)?.[0] ?? ""})`);
  page.on("console", said);
  page.on("pageerror", thrown);
  const deaf = () => {
    page.off("console", said);
    page.off("pageerror", thrown);
  };
  return { errors, deaf, bodies: () => bodiesOf(page) };
}

/** Digests of some bodies, as the page gets them once more: Firefox shows nobody what it has got. */
async function bodiesOf(page) {
  const urls = await page.evaluate(
    (origin) =>
      performance
        .getEntriesByType("resource")
        .filter(({ name, responseStatus }) => name.startsWith(origin) && responseStatus === 200)
        .map(({ name }) => name.split("#")[0]),
    options.origin,
  );
  const digests = await page.evaluate(digestsOf, aFew([...new Set(urls)]), READ_TIMEOUT_MS);
  return digests.filter((digest) => digest !== null);
}

/** Digests of what can be read, and nothing of what cannot. Runs in the page. */
function digestsOf(urls, timeoutMs) {
  const digestOf = async (url) => {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    if (!response.ok) return null;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await response.arrayBuffer()));
    return { url, sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") };
  };
  return Promise.all(urls.map((url) => digestOf(url).catch(() => null)));
}
