// The configuration as the code sees it: frozen, complete, camelCase. `load.ts` makes it out of YAML and flags.

export type EngineChoice = 'auto' | 'native' | 'tfjs';
export type TfjsBackendChoice = 'auto' | 'tensorflow' | 'wasm' | 'cpu';
export type PrecisionChoice = 'auto' | 'fp32' | 'bf16';

export interface Config {
  readonly model: {
    readonly nLayer: number;
    readonly nHead: number;
    readonly nEmbd: number;
    readonly seqLen: number;
    readonly dropout: number;
  };
  readonly training: {
    readonly batchSize: number;
    /** Samples per micro-batch; divides batchSize. */
    readonly microBatch: number;
    readonly lr: number;
    /** Where the cosine ends. */
    readonly minLr: number;
    readonly warmupSteps: number;
    readonly maxSteps: number;
    readonly weightDecay: number;
    readonly beta1: number;
    readonly beta2: number;
    readonly eps: number;
    /** Global norm; 0 = no clipping. */
    readonly gradClip: number;
    readonly evalInterval: number;
    readonly saveInterval: number;
    /** Evaluations without a new best before training stops; 0 = never. */
    readonly earlyStoppingPatience: number;
    readonly saveDir: string;
    readonly seed: number;
    readonly threads: number | 'auto';
    /** Checkpoint folder whose weights replace the random start, or null. */
    readonly initFrom: string | null;
    /** Compute identical samples of a batch once and weight them. */
    readonly mergeDuplicates: boolean;
  };
  readonly data: {
    readonly trainPath: string;
    readonly valPath: string;
    readonly format: 'instruct';
    readonly shuffle: boolean;
  };
  readonly tokenizer: {
    readonly type: 'hf_tokenizers';
    readonly path: string;
    /** Upper bound for `tokenizer build`. */
    readonly vocabSize: number;
  };
  readonly tfjs: {
    /** What TensorFlow.js computes with; auto: the first of these that is there. */
    readonly backend: TfjsBackendChoice;
  };
  readonly engine: EngineChoice;
  readonly precision: PrecisionChoice;
}
