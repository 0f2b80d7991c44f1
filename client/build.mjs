// Bundles the client into dist/: the snippet and the worker as classic scripts, the page part as a module that finds
// the engine beside it.
import { build } from "esbuild";

const common = {
  bundle: true,
  minify: true,
  sourcemap: "external",
  target: "es2022",
  outdir: "dist",
  logLevel: "warning",
  legalComments: "none",
};

await Promise.all([
  build({
    ...common,
    entryPoints: { edgeweave: "src/snippet/main.ts", "edgeweave-sw": "src/worker/main.ts" },
    format: "iife",
  }),
  build({ ...common, entryPoints: { page: "src/page/main.ts" }, format: "esm" }),
]);
