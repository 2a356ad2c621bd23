// The tfjs engine: training with the model of tfjs-model.ts over flat shared weights. Keeps no derived copies in shared memory:
// every thread turns the weights into tensors of its own.

import type { ParameterTable } from '../model/parameters.js';
import type { ModelShape } from '../model/shape.js';
import type { DropoutKey, PackedBatch, TrainingEngine } from './engine.js';
import { createDropoutMask } from './tfjs-dropout.js';
import { createModel } from './tfjs-model.js';
import { batchTensors, labelTensor, nameTensors, tensorSlots, weightTensors } from './tfjs-tensors.js';
import type { Tensor, Tf } from './tfjs-types.js';

export interface TfjsBuffers {
  readonly shape: ModelShape;
  readonly table: ParameterTable;
  /** Flat, as long as table.flatLength. */
  readonly weights: Float32Array;
}

const NO_DROPOUT: DropoutKey = { rate: 0, seed: 0, step: 0 };

/**
 * Rows computed at a time. A micro-batch with more is taken in pieces of whole sequences whose losses and gradients add up: attention
 * scores every row against every row of its piece, so memory would grow with the square.
 */
const PIECE_ROWS = 512;

export function createTfjsTraining(tf: Tf, { shape, table, weights }: TfjsBuffers): TrainingEngine {
  const model = createModel(tf, shape);
  const slots = tensorSlots(table);
  let tensors: Tensor[] | null = null;
  let gradients: Tensor[] = [];

  // At the first use after a refresh, or by a worker that joins a run: nobody writes weights then.
  const currentWeights = () => {
    tensors ??= weightTensors(tf, slots, weights);
    return tensors;
  };

  const lossOf = (piece: PackedBatch, dropout: DropoutKey) => {
    const batch = batchTensors(tf, shape, piece, createDropoutMask(shape.nEmbd, piece, dropout));
    const labels = labelTensor(tf, shape, piece);
    return (...named: Tensor[]) => model.loss(nameTensors(slots, named, shape), batch, labels);
  };

  return {
    // Each thread needs all weights in tensors of its own, so there is no work to share out.
    refresh: () => {
      if (tensors) tf.dispose(tensors);
      tensors = null;
    },

    // Autodiff gives value and gradient together: backward only hands over what was computed here.
    forward: (batch, dropout) => {
      tf.dispose(gradients);
      gradients = [];
      const current = currentWeights();
      let total = 0;
      for (const piece of piecesOf(batch)) {
        const found = tf.tidy(() => {
          const { value, grads } = tf.valueAndGrads(lossOf(piece, dropout))(current);
          total += value.dataSync()[0];
          return gradients.length === 0 ? grads : grads.map((grad, i) => tf.add(gradients[i], grad));
        });
        tf.dispose(gradients);
        gradients = found;
      }
      return total;
    },

    backward: (grads) => {
      if (gradients.length === 0) throw new Error('backward needs a forward');
      slots.forEach(({ offset }, i) => {
        grads.set(gradients[i].dataSync(), offset);
      });
      tf.dispose(gradients);
      gradients = [];
    },

    loss: (batch) => {
      const current = currentWeights();
      let total = 0;
      for (const piece of piecesOf(batch)) total += tf.tidy(() => lossOf(piece, NO_DROPOUT)(...current).dataSync()[0]);
      return total;
    },
  };
}

/** Whole sequences in their order, as many at a time as fit into PIECE_ROWS; a longer one by itself. */
export function* piecesOf(batch: PackedBatch, maxRows = PIECE_ROWS): Generator<PackedBatch> {
  const { seqStarts } = batch;
  const S = seqStarts.length - 1;
  for (let first = 0; first < S; ) {
    let end = first + 1;
    while (end < S && seqStarts[end + 1] - seqStarts[first] <= maxRows) end++;
    yield first === 0 && end === S ? batch : sequencesOf(batch, first, end);
    first = end;
  }
}

/** Sequences [first, end) as a batch of their own. */
function sequencesOf(batch: PackedBatch, first: number, end: number): PackedBatch {
  const [begin, stop] = [batch.seqStarts[first], batch.seqStarts[end]];
  const scoredBefore = (row: number) => batch.scoredRows.filter((scored) => scored < row).length;
  const [firstScored, endScored] = [scoredBefore(begin), scoredBefore(stop)];
  return {
    tokens: batch.tokens.subarray(begin, stop),
    seqStarts: batch.seqStarts.subarray(first, end + 1).map((row) => row - begin),
    sampleKeys: batch.sampleKeys.subarray(first, end),
    scoredRows: batch.scoredRows.subarray(firstScored, endScored).map((row) => row - begin),
    targets: batch.targets.subarray(firstScored, endScored),
    weights: batch.weights.subarray(firstScored, endScored),
  };
}
