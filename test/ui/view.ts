// Views and contexts for tests: what the dashboard would know after some events of a recording.

import { createUiState, type UiState } from '../../src/ui/keys.js';
import { createPaint } from '../../src/ui/paint.js';
import type { PanelContext } from '../../src/ui/panels/panel.js';
import { createViewState, reduceView, type ViewState } from '../../src/ui/state.js';
import { activitiesAt, type RecordedEvent } from './recording.js';

export function viewAfter(events: readonly RecordedEvent[]): ViewState {
  return events.reduce((view, { at, event }) => reduceView(view, event, at), createViewState());
}

export interface ContextOptions extends Partial<Omit<PanelContext, 'ui' | 'paint'>> {
  readonly ui?: Partial<UiState>;
  readonly hasColour?: boolean;
}

/** The context at the time of the last event; without colours, so that frames are plain text. */
export function contextAfter(events: readonly RecordedEvent[], options: ContextOptions = {}): PanelContext {
  const { ui, hasColour = false, ...rest } = options;
  const now = events.at(-1)?.at ?? 0;
  const view = viewAfter(events);
  return {
    view,
    live: activitiesAt(now, view.lastStep?.workers.length ?? 0),
    isPaused: false,
    canAsk: false,
    now,
    ...rest,
    ui: { ...createUiState(), ...ui },
    paint: createPaint(hasColour),
  };
}
