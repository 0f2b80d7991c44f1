// A Chromium, driven over the DevTools protocol by nothing but what a visit needs. Libraries that automate browsers watch
// every request of every page and worker: a third of the processor time that a page takes, and more of it where there is
// a worker, so that what is to be measured is slowed down by measuring it, and one arm more than the other.
// https://chromedevtools.github.io/devtools-protocol/
import { spawn } from "node:child_process";

/** What every Chromium is started with that is driven by a script: it does nothing of its own accord. */
export const ALONE = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Milliseconds that a browser has to end by itself. */
const CLOSE_TIMEOUT_MS = 20_000;
/** What a browser said last, in characters: it says why it does not start. */
const LAST_WORDS = 2_000;

/** Starts a browser with a profile; its first page is there. */
export async function launch({ executable, profile, flags }) {
  const args = ["--headless", "--remote-debugging-pipe", `--user-data-dir=${profile}`, ...flags, "about:blank"];
  const child = spawn(executable, args, { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
  const [, , words, writing, reading] = child.stdio;
  let lastWords = "";
  words.on("data", (text) => {
    lastWords = (lastWords + text).slice(-LAST_WORDS);
  });
  const replies = new Map();
  const sessions = new Map();
  let asked = 0;
  let unread = "";
  const ended = new Promise((over) => {
    child.on("error", (error) => over(error.message));
    child.on("exit", (code, signal) => over(`${signal ?? code}`));
  });
  let gone;
  ended.then((how) => {
    gone = new Error(`${executable} has ended (${how}): ${lastWords.trim()}`);
    giveUp(() => true, gone);
  });

  /** Fails what waits for a reply that will not come. */
  function giveUp(isMeant, error) {
    for (const [id, reply] of replies) {
      if (!isMeant(reply)) continue;
      replies.delete(id);
      reply.fail(error);
    }
  }
  // Writing to a browser that is gone fails; whoever waits for the answer is told above.
  writing.on("error", () => {});
  reading.setEncoding("utf8").on("data", (text) => {
    const messages = (unread + text).split("\0");
    unread = messages.pop();
    for (const message of messages) hear(JSON.parse(message));
  });

  function hear({ id, result, error, method, params, sessionId }) {
    if (method === "Inspector.targetCrashed")
      giveUp((reply) => reply.sessionId === sessionId, new Error("the page has crashed"));
    // A page that asks its visitor something would wait for ever.
    if (method === "Page.javascriptDialogOpening")
      send("Page.handleJavaScriptDialog", { accept: false }, sessionId).catch(() => {});
    if (id === undefined) return sessions.get(sessionId)?.(method, params);
    const reply = replies.get(id);
    replies.delete(id);
    if (error) reply?.fail(new Error(`${reply.method}: ${error.message}`));
    else reply?.done(result);
  }

  function send(method, params = {}, sessionId = undefined) {
    return new Promise((done, fail) => {
      if (gone) return fail(gone);
      asked += 1;
      replies.set(asked, { method, sessionId, done, fail });
      writing.write(`${JSON.stringify({ id: asked, method, params, sessionId })}\0`);
    });
  }

  async function attach(targetId) {
    const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
    const page = pageOf((method, params) => send(method, params, sessionId));
    sessions.set(sessionId, page.hear);
    await Promise.all([page.send("Page.enable"), page.send("Inspector.enable")]);
    return page;
  }

  async function newPage() {
    return attach((await send("Target.createTarget", { url: "about:blank" })).targetId);
  }

  async function close() {
    const kill = setTimeout(() => child.kill("SIGKILL"), CLOSE_TIMEOUT_MS);
    send("Browser.close").catch(() => {});
    await ended;
    clearTimeout(kill);
  }

  try {
    const { targetInfos } = await send("Target.getTargets");
    const there = targetInfos.find(({ type }) => type === "page");
    return { first: there ? await attach(there.targetId) : await newPage(), newPage, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A page, by what it can be told. */
function pageOf(send) {
  const listeners = new Set();

  /** Calls `listener` with each event until what it returns is called. */
  function listen(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Runs a function in the page, and returns what it returns. */
  async function evaluate(run, ...args) {
    const expression = `(${run})(${args.map((arg) => JSON.stringify(arg)).join(", ")})`;
    const { result, exceptionDetails } = await send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Does what leads to another page, and waits until that has loaded. */
  async function load(lead, timeoutMs) {
    let over;
    const loaded = new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error(`the page has not loaded within ${timeoutMs} ms`)), timeoutMs);
      const deaf = listen((method) => method === "Page.loadEventFired" && done());
      over = () => {
        clearTimeout(late);
        deaf();
      };
    });
    try {
      const failure = (await lead())?.errorText;
      if (failure) throw new Error(failure);
      await loaded;
    } finally {
      over();
      // Where leading there failed, nobody waits for it any more.
      loaded.catch(() => {});
    }
  }

  return {
    send,
    listen,
    evaluate,
    load,
    hear(method, params) {
      for (const listener of listeners) listener(method, params);
    },
  };
}
