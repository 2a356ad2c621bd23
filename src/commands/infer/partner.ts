// What a conversation needs of a model: its answers, and how much of the earlier turns it can read.

import type { ChatPartner } from './chat.js';
import type { AnswerOptions, InferFlags } from './flags.js';
import { parseHistory } from './flags.js';
import { historyLimits, promptWithHistory } from './history.js';
import type { AnsweringModel } from './model.js';
import { createAnswerPrinter, type Output, type PrintFlags } from './print.js';

export function createChatPartner(
  model: AnsweringModel,
  options: AnswerOptions,
  flags: PrintFlags & Pick<InferFlags, 'history'>,
  streams: Pick<Output, 'stdout' | 'stderr'>,
): ChatPartner {
  const historyTurns = parseHistory(flags.history);
  const limits = historyLimits(historyTurns, model.engine.shape.seqLen, options.maxNewTokens);
  return {
    options,
    historyTurns,
    withHistory: (turns, question) => promptWithHistory(model.tokenizer, turns, question, limits),
    createPrinter: (chosen, signal) => createAnswerPrinter(model, chosen, flags, { ...streams, signal }),
  };
}
