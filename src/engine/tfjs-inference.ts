// Inference with the tfjs engine. Without a KV cache: each call runs the whole sequence through the model.

import { createParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import type { NamedWeights, WeightTensor } from '../model/weights.js';
import type { InferenceEngine, InferenceSession } from './engine.js';
import { logSumExp } from './log-sum-exp.js';
import type { TfjsBuffers } from './tfjs.js';
import { createModel } from './tfjs-model.js';
import { batchTensors, nameTensors, tensorSlots, weightTensors } from './tfjs-tensors.js';
import type { Tensor, Tf } from './tfjs-types.js';

/** `weights`: every parameter of the shape, of the right size; int8 ones are turned back into f32. */
export function createTfjsInference(tf: Tf, shape: ModelShape, weights: NamedWeights): InferenceEngine {
  const table = createParameterTable(shape);
  const flat = new Float32Array(table.flatLength);
  for (const { name, offset } of table.parameters) flat.set(toFloats(weights.get(name)!), offset);
  return createLiveTfjsInference(tf, { shape, table, weights: flat });
}

/** Over weights that a training goes on to change: every session reads them anew when it is created. */
export function createLiveTfjsInference(tf: Tf, { shape, table, weights }: TfjsBuffers): InferenceEngine {
  const model = createModel(tf, shape);
  const slots = tensorSlots(table);
  let tensors: Tensor[] = [];
  const close = () => {
    tf.dispose(tensors);
    tensors = [];
  };
  const logitsAfter = (tokens: Int32Array): Float32Array =>
    tf.tidy(() => {
      const sequences = {
        tokens,
        seqStarts: Int32Array.of(0, tokens.length),
        scoredRows: Int32Array.of(tokens.length - 1),
      };
      const batch = batchTensors(tf, shape, sequences, null);
      return model.logits(nameTensors(slots, tensors, shape), batch).dataSync() as Float32Array;
    });
  return {
    shape,
    createSession: () => {
      close();
      tensors = weightTensors(tf, slots, weights);
      return createSession(shape, logitsAfter);
    },
    close,
  };
}

function createSession(shape: ModelShape, logitsAfter: (tokens: Int32Array) => Float32Array): InferenceSession {
  const tokens = new Int32Array(shape.seqLen);
  const logits = new Float32Array(shape.vocabSize);
  let length = 0;
  return {
    get length() {
      return length;
    },
    append(more) {
      if (length + more.length > shape.seqLen) {
        throw new RangeError(
          `append: ${length} + ${more.length} tokens are more than the ${shape.seqLen} of the model`,
        );
      }
      tokens.set(more, length);
      length += more.length;
      logits.set(logitsAfter(tokens.subarray(0, length)));
      return logits;
    },
    get logSumExp() {
      return length > 0 ? logSumExp(logits) : Number.NaN;
    },
    truncate(to) {
      if (to < 0 || to > length) throw new RangeError(`truncate: ${to} is not between 0 and the length ${length}`);
      length = to;
    },
  };
}

/** Value = int8 * scale of its row. */
function toFloats(tensor: WeightTensor): Float32Array {
  if (tensor.kind === 'f32') return tensor.data;
  const columns = tensor.shape[1];
  return Float32Array.from(tensor.data, (value, i) => value * tensor.scales[Math.floor(i / columns)]);
}
