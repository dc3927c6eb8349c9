// Activations of a TF.js model, computed by TF.js itself.
//
//   node features.mjs MODEL_JSON INPUT SHAPE FOLDER NAME...
//
// INPUT holds float32 values of SHAPE (as in "2,224,224,3"). For each NAME, a layer of a
// layers-model or a node of a graph-model, FOLDER gets a file 0.f32, 1.f32, …; the shapes are
// printed as JSON.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs";

const [modelPath, inputPath, shapeText, folder, ...names] = process.argv.slice(2);

// In node, TF.js reads no files by itself.
function fromDisk(path) {
  const fields = JSON.parse(readFileSync(path, "utf8"));
  const shards = fields.weightsManifest.flatMap((group) => group.paths);
  const data = Buffer.concat(shards.map((shard) => readFileSync(join(dirname(path), shard))));
  return {
    load: async () => ({
      ...fields,
      weightSpecs: fields.weightsManifest.flatMap((group) => group.weights),
      weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength),
    }),
  };
}

async function activations(path, input) {
  const { format } = JSON.parse(readFileSync(path, "utf8"));
  if (format === "graph-model") {
    const model = await tf.loadGraphModel(fromDisk(path));
    return [model.execute(input, names)].flat();
  }
  const model = await tf.loadLayersModel(fromDisk(path));
  const outputs = names.map((name) => model.getLayer(name).output);
  return [tf.model({ inputs: model.inputs, outputs }).predict(input)].flat();
}

await tf.setBackend("cpu");
const bytes = readFileSync(inputPath);
const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const found = await activations(modelPath, tf.tensor(values, shapeText.split(",").map(Number)));
found.forEach((tensor, place) => {
  writeFileSync(join(folder, `${place}.f32`), Buffer.from(tensor.dataSync().slice().buffer));
});
console.log(JSON.stringify(found.map((tensor) => tensor.shape)));
