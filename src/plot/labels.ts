// The words on a picture, in the languages it can have.

export interface Labels {
  readonly title: string;
  readonly loss: string;
  readonly training: string;
  readonly evaluation: string;
  readonly learningRate: string;
  readonly tokensPerSec: string;
  readonly step: string;
  /** Titles of the table's columns. */
  readonly shortLoss: string;
  readonly bestEvaluation: string;
  readonly at: string;
  readonly rate: string;
  readonly time: string;
}

export const LABELS = {
  en: {
    title: 'Training',
    loss: 'loss (nats, logarithmic)',
    training: 'training, smoothed',
    evaluation: 'evaluation',
    learningRate: 'learning rate',
    tokensPerSec: 'tokens per second',
    step: 'step',
    shortLoss: 'smoothed',
    bestEvaluation: 'best eval',
    at: 'at step',
    rate: 'tokens/s',
    time: 'time',
  },
  zh: {
    title: '训练过程',
    loss: '损失（奈特，对数坐标）',
    training: '训练（平滑）',
    evaluation: '验证',
    learningRate: '学习率',
    tokensPerSec: '每秒词元数',
    step: '步数',
    shortLoss: '平滑损失',
    bestEvaluation: '最佳验证',
    at: '所在步',
    rate: '词元/秒',
    time: '用时',
  },
} as const satisfies Record<string, Labels>;

export type Language = keyof typeof LABELS;

export function isLanguage(text: string): text is Language {
  return Object.hasOwn(LABELS, text);
}
