// Which of the addon's instruction sets to use: the fastest one, or the one that is asked for, to compare or to look for a fault.

import type { Addon } from '../addon/addon.js';
import { EngineError } from '../errors.js';

const VARIABLE = 'GPT_LOOM_ISA';

/** Throws EngineError for one that this processor or build doesn't have. */
export function chooseIsa(addon: Addon): string {
  const offered = addon.isaVariants();
  const wanted = process.env[VARIABLE] ?? '';
  if (wanted === '' || offered.includes(wanted)) return wanted || offered[0];
  throw new EngineError(
    `${VARIABLE} is "${wanted}", which this processor or build doesn't have.\n` +
      `  It has ${offered.join(', ')}. Set one of these, or unset ${VARIABLE} for the fastest.`,
  );
}
