import puppeteer from "puppeteer-core";
import { PATIENCE_MS } from "./harness";
import { type SimpleVisitor, simpleVisitor } from "./simple-visitor";

const FIREFOX = process.env.FIREFOX ?? "/usr/bin/firefox-esr";

/**
 * A visitor with Firefox, as its makers build it, and driven by what browsers have in common
 * (https://w3c.github.io/webdriver-bidi/).
 */
export async function arriveWithFirefox(): Promise<SimpleVisitor> {
  const browser = await puppeteer.launch({ browser: "firefox", executablePath: FIREFOX });
  const page = (await browser.pages())[0] ?? (await browser.newPage());
  return simpleVisitor({
    evaluate: (run, arg) => page.evaluate(run as never, arg as never) as never,
    async go(url) {
      await page.goto(url, { waitUntil: "load", timeout: PATIENCE_MS });
    },
    leave: () => browser.close(),
  });
}
