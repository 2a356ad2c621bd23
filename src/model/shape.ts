// The sizes that define a model. Everything else about it (parameters, FLOPs, memory) derives from these.

export interface ModelShape {
  /** L: number of blocks. */
  readonly nLayer: number;
  /** NH: attention heads; divides nEmbd, and nEmbd / nHead is even (RoPE rotates pairs). */
  readonly nHead: number;
  /** C: channels. */
  readonly nEmbd: number;
  /** V: vocabulary size of the tokenizer in use. */
  readonly vocabSize: number;
  /** Longest sequence the model sees, in tokens. */
  readonly seqLen: number;
}
