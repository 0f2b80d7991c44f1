// Bundles the client into dist/: the snippet and the worker as classic scripts, the page part as a module that finds
// the engine beside it.
import { mkdir, writeFile } from "node:fs/promises";
import { build } from "esbuild";
import { minify } from "terser";

const FOLDER = "dist";

/** Bundles a script, and makes it small: terser finds a twentieth that esbuild leaves. */
async function bundle(name, entry, format) {
  const { outputFiles } = await build({
    entryPoints: { [name]: entry },
    format,
    bundle: true,
    minifySyntax: true,
    sourcemap: "external",
    target: "es2022",
    outdir: FOLDER,
    write: false,
    logLevel: "warning",
    legalComments: "none",
  });
  const [content, bundled] = [".map", ".js"].map((end) => outputFiles.find(({ path }) => path.endsWith(end)).text);
  const { code, map } = await minify(bundled, {
    module: format === "esm",
    toplevel: true,
    // Brotli finds more that is alike where less is inlined and turned around. None of our getters does anything.
    compress: { passes: 4, pure_getters: true, inline: 1, lhs_constants: false, negate_iife: false, sequences: 5 },
    sourceMap: { content },
  });
  await Promise.all([writeFile(`${FOLDER}/${name}.js`, code), writeFile(`${FOLDER}/${name}.js.map`, map)]);
}

await mkdir(FOLDER, { recursive: true });
await Promise.all([
  bundle("edgeweave", "src/snippet/main.ts", "iife"),
  bundle("edgeweave-sw", "src/worker/main.ts", "iife"),
  bundle("page", "src/page/main.ts", "esm"),
]);
