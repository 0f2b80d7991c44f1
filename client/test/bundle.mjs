// Runs a script that is written in TypeScript like the tests: `node bundle.mjs transfer.ts '{"rounds":3}'`.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const script = process.argv[2] ?? "";
// Below the packages that it needs.
const outfile = join(here, "../node_modules/.edgeweave", script.replace(/\.ts$/, ".mjs"));
await build({
  entryPoints: [join(here, script)],
  outfile,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  logLevel: "warning",
});
await import(outfile);
