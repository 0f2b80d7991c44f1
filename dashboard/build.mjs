// Bundles the dashboard into dist/: a page, a script and a style sheet, all its own.
import { copyFile } from "node:fs/promises";
import { build } from "esbuild";

await build({
  bundle: true,
  minify: true,
  target: "es2022",
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
  outdir: "dist",
  entryPoints: { dashboard: "src/main.tsx", style: "src/style.css" },
  logLevel: "warning",
  legalComments: "none",
});
await copyFile("src/index.html", "dist/index.html");
