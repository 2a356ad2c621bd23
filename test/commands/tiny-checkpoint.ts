// Real checkpoints whose answers are known beforehand. The blocks add nothing to the residual stream, so a token is followed by
// the one whose embedding has the largest product with its own: a chain of tokens that can be worked out by hand.

import { collectWeights } from '../../src/checkpoint/fit.js';
import { quantizeWeights } from '../../src/checkpoint/quantize.js';
import { saveCheckpoint } from '../../src/checkpoint/save.js';
import { createParameterTable } from '../../src/model/parameters.js';
import { createTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainBpe } from '../../src/tokenizer/train.js';

export const TINY_TOKENIZER = createTokenizer(trainBpe(['好好好 好'], { vocabSize: 262 }));
const [GOOD] = TINY_TOKENIZER.encode('好', { special: false });

export interface TinyCheckpointOptions {
  /** `once`: the answer is 好. `forever`: 好 again and again, until something cuts it off. */
  readonly says: 'once' | 'forever';
  readonly seqLen?: number;
  readonly isQuantized?: boolean;
  /** Instead of the tokenizer that belongs to it. */
  readonly tokenizerJson?: string;
}

/** Saves one at `path`. */
export async function saveTinyCheckpoint(path: string, options: TinyCheckpointOptions): Promise<void> {
  const { says, seqLen = 64, isQuantized = false, tokenizerJson = TINY_TOKENIZER.toJson() } = options;
  const { vocabSize, eosId } = TINY_TOKENIZER;
  const shape = { nLayer: 1, nHead: 1, nEmbd: 8, vocabSize, seqLen };
  const table = createParameterTable(shape);
  const flat = new Float32Array(table.flatLength);
  const offsetOf = (name: string) => table.parameters.find((parameter) => parameter.name === name)!.offset;
  flat.fill(1, offsetOf('norm.weight'), offsetOf('norm.weight') + shape.nEmbd);
  // Both point the same way, so the longer of the two follows either: <eos> may not come first, and then it does or doesn't.
  const embedding = offsetOf('tok_emb.weight');
  flat[embedding + GOOD * shape.nEmbd] = says === 'once' ? 1 : 2;
  flat[embedding + eosId * shape.nEmbd] = says === 'once' ? 2 : 1;
  const tensors = collectWeights(flat, table);
  const config = { model: { n_layer: 1, n_head: 1, n_embd: shape.nEmbd, seq_len: seqLen, dropout: 0 } };
  await saveCheckpoint(path, {
    info: { step: 1, trainLoss: 1, evalLoss: null, vocabSize, config },
    tensors: isQuantized ? quantizeWeights(tensors, table) : tensors,
    tokenizerJson,
  });
}
