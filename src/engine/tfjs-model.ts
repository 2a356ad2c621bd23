// The model, written as the formulas stand in the papers: a decoder-only transformer over one packed micro-batch.
// Gradients are TensorFlow.js's own (autodiff). Knows nothing of threads, files or flat memory.
//
// Letters: T tokens of the micro-batch, R scored rows, C channels, NH heads, hs head size, V vocabulary.

import type { ModelShape } from '../model/shape.js';
import { createOperations } from './tfjs-operations.js';
import type { Tensor, Tf } from './tfjs-types.js';

/** weight: (out, in), bias: (out). */
export interface LinearTensors {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

export interface BlockTensors {
  readonly norm1: Tensor;
  readonly q: LinearTensors;
  readonly k: LinearTensors;
  readonly v: LinearTensors;
  readonly proj: LinearTensors;
  readonly norm2: Tensor;
  readonly fc1: LinearTensors;
  readonly fc2: LinearTensors;
}

export interface ModelTensors {
  /** (V, C) what a token enters as, and what the output is compared with. */
  readonly embedding: Tensor;
  readonly blocks: readonly BlockTensors[];
  readonly norm: Tensor;
}

/** What attention needs to know of the rows that ask ("queries"). Constants: nothing here has a gradient. */
export interface QueryTensors {
  /** (rows, hs) of each row's position. */
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** (rows, T) 0 where the row may look, a large negative number elsewhere. */
  readonly mask: Tensor;
  /** By dropout site (rows, C): 0 or 1 / (1 - rate). Empty: no dropout. */
  readonly dropout: ReadonlyMap<number, Tensor>;
}

export interface BatchTensors {
  /** (T) token ids. */
  readonly tokens: Tensor;
  /** All T rows. */
  readonly all: QueryTensors;
  /** (R) the rows that are scored, and the same as queries: all that the last block computes. */
  readonly scoredRows: Tensor;
  readonly scored: QueryTensors;
}

export interface TfjsModel {
  /** (R, V) */
  logits(model: ModelTensors, batch: BatchTensors): Tensor;
  /** Scalar: sum over R of weight * cross-entropy; `labels` (R, V) has the row's weight at its target and 0 elsewhere. */
  loss(model: ModelTensors, batch: BatchTensors, labels: Tensor): Tensor;
}

const RMS_EPS = 1e-6;

export function createModel(tf: Tf, shape: ModelShape): TfjsModel {
  const { timesTransposed, times, lookup, unstack } = createOperations(tf);
  const { nHead: NH, nEmbd: C } = shape;
  const hs = C / NH;

  /** x / rms(x) * gain. Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467 */
  function rmsNorm(x: Tensor, gain: Tensor): Tensor {
    const meanSquare = tf.mean(tf.square(x), -1, true); // (rows, 1)
    return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, RMS_EPS))), gain);
  }

  /** x Wᵀ + b: (rows, in) -> (rows, out) */
  function linear(x: Tensor, { weight, bias }: LinearTensors): Tensor {
    return tf.add(timesTransposed(x, weight), bias);
  }

  /** x * sigmoid(x). Elfwing et al. 2017, https://arxiv.org/abs/1702.03118 */
  function silu(x: Tensor): Tensor {
    return tf.mul(x, tf.sigmoid(x));
  }

  /** Rotates pair (i, i + hs/2) of a head by its row's position. Su et al. 2021, https://arxiv.org/abs/2104.09864 */
  function rope(x: Tensor, { cos, sin }: QueryTensors): Tensor {
    const [first, second] = tf.split(x, 2, 2); // (NH, rows, hs/2) each
    return tf.add(tf.mul(x, cos), tf.mul(tf.concat([tf.neg(second), first], 2), sin));
  }

  /** (rows, C) -> (NH, rows, hs) */
  function splitHeads(x: Tensor): Tensor {
    return tf.transpose(tf.reshape(x, [-1, NH, hs]), [1, 0, 2]);
  }

  /** (NH, rows, hs) -> (rows, C) */
  function mergeHeads(x: Tensor): Tensor {
    return tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, C]);
  }

  /**
   * softmax(q kᵀ / sqrt(hs) + mask) v, each head by itself: q (NH, rows, hs), k and v (NH, T, hs) -> (rows, C).
   * Vaswani et al. 2017, https://arxiv.org/abs/1706.03762
   */
  function attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor): Tensor {
    const [keys, values] = [unstack(k), unstack(v)];
    const heads = unstack(q).map((query, h) => {
      const scores = tf.div(timesTransposed(query, keys[h]), Math.sqrt(hs)); // (rows, T)
      return times(tf.softmax(tf.add(scores, mask)), values[h]); // (rows, hs)
    });
    return mergeHeads(tf.stack(heads));
  }

  /** Srivastava et al. 2014. Sites: 0 the embedding, then two a block. */
  function dropout(x: Tensor, { dropout: masks }: QueryTensors, site: number): Tensor {
    const mask = masks.get(site);
    return mask ? tf.mul(x, mask) : x;
  }

  /** The logits of the scored rows. All other rows matter to them as keys and values alone, so the last block leaves them out. */
  function logits({ embedding, blocks, norm }: ModelTensors, batch: BatchTensors): Tensor {
    const { all, scored } = batch;
    let x = dropout(lookup(embedding, batch.tokens), all, 0); // (T, C)
    blocks.forEach((block, i) => {
      const isLast = i === blocks.length - 1;
      const queries = isLast ? scored : all;
      const asked = rmsNorm(x, block.norm1);
      const asking = isLast ? lookup(asked, batch.scoredRows) : asked;
      if (isLast) x = lookup(x, batch.scoredRows); // (R, C)
      const q = rope(splitHeads(linear(asking, block.q)), queries);
      const k = rope(splitHeads(linear(asked, block.k)), all);
      const v = splitHeads(linear(asked, block.v));
      const attended = linear(attention(q, k, v, queries.mask), block.proj);
      x = tf.add(x, dropout(attended, queries, 1 + 2 * i));
      const thought = linear(silu(linear(rmsNorm(x, block.norm2), block.fc1)), block.fc2);
      x = tf.add(x, dropout(thought, queries, 2 + 2 * i));
    });
    return timesTransposed(rmsNorm(x, norm), embedding); // (R, V)
  }

  /** Cross-entropy of the answers' tokens alone; the prompt has no labels. */
  function loss(model: ModelTensors, batch: BatchTensors, labels: Tensor): Tensor {
    return tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits(model, batch)), labels)));
  }

  return { logits, loss };
}
