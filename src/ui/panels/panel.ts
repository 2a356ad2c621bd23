// What every panel is: a title, and text that fills the room it is given. Pure functions of the context.

import type { WorkerActivity } from '../../trainer/events.js';
import type { UiState } from '../keys.js';
import type { Paint } from '../paint.js';
import type { ViewState } from '../state.js';

export interface PanelContext {
  readonly view: ViewState;
  readonly ui: UiState;
  /** What each worker does at this moment, by rank. */
  readonly live: readonly WorkerActivity[];
  readonly isPaused: boolean;
  readonly canAsk: boolean;
  /** The run belongs to another process: its keys aren't there. */
  readonly isWatching?: boolean;
  /** By the same clock as the times in the view. */
  readonly now: number;
  readonly paint: Paint;
}

export interface Panel {
  /** Left and right end of the upper border. */
  title(context: PanelContext): { readonly left: string; readonly right?: string };
  /** At most `height` lines of exactly `width` columns each. */
  body(context: PanelContext, width: number, height: number): string[];
}
