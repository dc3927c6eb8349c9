// Writes the graph-model that the package nsfwjs ships as scripts, as TF.js models lie on disk.
//
//   node unpack_nsfwjs.mjs FOLDER
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const fromPackage = (name) => require(`./node_modules/nsfwjs/dist/models/mobilenet_v2_mid/${name}.min.js`);

const model = fromPackage("model");
writeFileSync(join(folder, "model.json"), JSON.stringify(model));
for (const shard of model.weightsManifest.flatMap((group) => group.paths)) {
  writeFileSync(join(folder, shard), Buffer.from(fromPackage(shard), "base64"));
}
