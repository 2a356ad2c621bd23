// From a key press to what it means: a new state of the interface, and perhaps something to ask of the run. Pure.

import type { ScaleKind } from './charts/scale.js';
import { formatCounted } from './format.js';
import { clean, dropLastCharacter } from './text.js';

export interface UiState {
  readonly scale: ScaleKind;
  readonly enlarged: 'loss' | 'workers' | 'samples' | null;
  readonly isHelpOpen: boolean;
  readonly isFrozen: boolean;
  readonly quit: 'no' | 'stopping' | 'now';
  /** Workers asked for; null until somebody asks. */
  readonly workers: number | null;
  /** Answer to the last key, shown until the clock passes `until`. */
  readonly toast: { readonly text: string; readonly until: number } | null;
  readonly ask: AskState | null;
}

export interface AskState {
  readonly phase: 'typing' | 'waiting' | 'answered';
  readonly prompt: string;
  readonly answer: string;
}

/** What one can ask of the run, of the terminal and of the caller. */
export type Command =
  | { readonly type: 'stop' | 'forceQuit' | 'pause' | 'resume' | 'save' | 'evaluate' | 'suspend' | 'redraw' | 'leave' }
  | { readonly type: 'setWorkers'; readonly workers: number }
  | { readonly type: 'ask'; readonly prompt: string };

/** A key as Ink reports it; `input` holds the characters typed, or the letter with ctrl. */
export interface KeyPress {
  readonly input: string;
  readonly ctrl: boolean;
  readonly escape: boolean;
  readonly return: boolean;
  /** Backspace or delete. */
  readonly erase: boolean;
}

export interface KeyContext {
  readonly now: number;
  readonly isPaused: boolean;
  readonly workers: number;
  readonly maxWorkers: number;
  readonly canAsk: boolean;
  /** The run belongs to another process: only the view can be acted on. */
  readonly isWatching?: boolean;
}

export interface KeyResult {
  readonly ui: UiState;
  readonly command: Command | null;
}

const TOAST_MS = 2500;
/** More characters at once than anybody types: pasted text isn't a series of commands. */
const LONGEST_BURST = 4;
const NO_KEY: KeyPress = { input: '', ctrl: false, escape: false, return: false, erase: false };
/** Control characters as the keys that send them, where Ink didn't tell because they came together with others. */
const CONTROL_KEYS: Readonly<Record<string, KeyPress>> = {
  '\u0003': { ...NO_KEY, input: 'c', ctrl: true },
  '\u000c': { ...NO_KEY, input: 'l', ctrl: true },
  '\u0015': { ...NO_KEY, input: 'u', ctrl: true },
  '\u001a': { ...NO_KEY, input: 'z', ctrl: true },
  '\r': { ...NO_KEY, return: true },
  '\n': { ...NO_KEY, return: true },
  '\b': { ...NO_KEY, erase: true },
  '\u007f': { ...NO_KEY, erase: true },
};
/** Keys that ask something of the run. */
const RUN_KEYS = 'pse+=-a';
const ENLARGED = { 1: 'loss', 2: 'workers', 3: 'samples' } as const;

export function createUiState(): UiState {
  return {
    scale: 'log',
    enlarged: null,
    isHelpOpen: false,
    isFrozen: false,
    quit: 'no',
    workers: null,
    toast: null,
    ask: null,
  };
}

export function handleKey(ui: UiState, key: KeyPress, context: KeyContext): KeyResult {
  if (key.ctrl) return handleControlKey(ui, key.input, context);
  if (ui.ask?.phase === 'typing') return handleTyping(ui, ui.ask, key);
  if (key.escape) return only({ ...ui, ask: null, isHelpOpen: false, enlarged: null });
  if ([...key.input].length !== 1) return only(ui);
  return handleLetter(ui, key.input, context);
}

/**
 * One chunk of terminal input as single keys. Whoever types fast, or while the program is busy, sends several at once,
 * and Ctrl-C among them must count. While a question is typed its text stays in one piece, as an input method sends it.
 */
export function splitKeys(ui: UiState, key: KeyPress): KeyPress[] {
  if (key.ctrl || key.escape || key.return || key.erase) return [key];
  const pieces = key.input.match(/\p{Cc}|\P{Cc}+/gu) ?? [];
  return pieces.flatMap((piece) => {
    if (CONTROL_KEYS[piece] !== undefined) return [CONTROL_KEYS[piece]];
    if (ui.ask?.phase === 'typing') return [{ ...key, input: piece }];
    const characters = [...piece];
    return characters.length > LONGEST_BURST ? [] : characters.map((input) => ({ ...key, input }));
  });
}

/** The state after the answer to a question came. */
export function withAnswer(ui: UiState, prompt: string, answer: string): UiState {
  if (ui.ask?.phase !== 'waiting' || ui.ask.prompt !== prompt) return ui;
  return { ...ui, ask: { phase: 'answered', prompt, answer: clean(answer) } };
}

function handleControlKey(ui: UiState, letter: string, context: KeyContext): KeyResult {
  if (letter === 'c') return quit(ui, context);
  if (letter === 'z') return { ui, command: { type: 'suspend' } };
  // As in a shell: away with the line.
  if (letter === 'u' && ui.ask?.phase === 'typing') return only({ ...ui, ask: { ...ui.ask, prompt: '' } });
  return letter === 'l' ? { ui, command: { type: 'redraw' } } : only(ui);
}

function handleTyping(ui: UiState, ask: AskState, key: KeyPress): KeyResult {
  if (key.escape) return only({ ...ui, ask: null });
  if (key.erase) return only({ ...ui, ask: { ...ask, prompt: dropLastCharacter(ask.prompt) } });
  if (!key.return) {
    // Spaces at the ends must survive while one types; clean() would trim them.
    const typed = key.input.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '');
    return only({ ...ui, ask: { ...ask, prompt: ask.prompt + typed } });
  }
  const prompt = clean(ask.prompt);
  if (prompt === '') return only({ ...ui, ask: null });
  return { ui: { ...ui, ask: { phase: 'waiting', prompt, answer: '' } }, command: { type: 'ask', prompt } };
}

function handleLetter(ui: UiState, letter: string, context: KeyContext): KeyResult {
  const toast = (text: string) => ({ ...ui, toast: { text, until: context.now + TOAST_MS } });
  const when = context.isPaused ? '' : ' after this step';
  if (context.isWatching && RUN_KEYS.includes(letter)) return only(ui);
  switch (letter) {
    case 'q':
      return quit(ui, context);
    case 'p':
      return context.isPaused
        ? { ui: toast('training goes on'), command: { type: 'resume' } }
        : { ui: toast('training pauses after this step'), command: { type: 'pause' } };
    case 's':
      return { ui: toast(`a checkpoint is saved${when}`), command: { type: 'save' } };
    case 'e':
      return { ui: toast(`an evaluation is made${when}`), command: { type: 'evaluate' } };
    case '+':
    case '=':
      return changeWorkers(ui, 1, context, toast);
    case '-':
      return changeWorkers(ui, -1, context, toast);
    case 'a':
      return only(context.canAsk ? { ...ui, ask: { phase: 'typing', prompt: '', answer: '' } } : ui);
    case 'f':
      return only({ ...ui, isFrozen: !ui.isFrozen });
    case 'l':
      return only({ ...ui, scale: ui.scale === 'log' ? 'linear' : 'log' });
    case '?':
      return only({ ...ui, isHelpOpen: !ui.isHelpOpen });
    case '1':
    case '2':
    case '3':
      return only({ ...ui, isHelpOpen: false, enlarged: toggle(ui.enlarged, ENLARGED[letter]) });
    default:
      return only(ui);
  }
}

function quit(ui: UiState, context: KeyContext): KeyResult {
  if (context.isWatching) return { ui, command: { type: 'leave' } };
  if (ui.quit === 'no') return { ui: { ...ui, quit: 'stopping' }, command: { type: 'stop' } };
  if (ui.quit === 'stopping') return { ui: { ...ui, quit: 'now' }, command: { type: 'forceQuit' } };
  return only(ui);
}

function changeWorkers(ui: UiState, by: number, context: KeyContext, toast: (text: string) => UiState): KeyResult {
  const workers = (ui.workers ?? context.workers) + by;
  if (workers < 1) return only(toast('one worker is the least'));
  if (workers > context.maxWorkers) {
    return only(
      toast(`a batch has ${formatCounted(context.maxWorkers, 'micro-batch', 'es')}: no use for more workers`),
    );
  }
  const text = `${formatCounted(workers, 'worker')} from the next step on`;
  return { ui: { ...toast(text), workers }, command: { type: 'setWorkers', workers } };
}

function toggle<T>(present: T | null, wanted: T): T | null {
  return present === wanted ? null : wanted;
}

function only(ui: UiState): KeyResult {
  return { ui, command: null };
}
