import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createUiState,
  handleKey,
  type KeyContext,
  type KeyPress,
  splitKeys,
  type UiState,
  withAnswer,
} from '../../src/ui/keys.js';

const CONTEXT: KeyContext = { now: 1000, isPaused: false, workers: 2, maxWorkers: 4, canAsk: true };
const KEY: KeyPress = { input: '', ctrl: false, escape: false, return: false, erase: false };

/** The state and the commands after a series of keys: characters, or parts of a key press. */
function type(keys: readonly (string | Partial<KeyPress>)[], context: Partial<KeyContext> = {}, from?: UiState) {
  const commands: unknown[] = [];
  let ui = from ?? createUiState();
  for (const part of keys) {
    const press = { ...KEY, ...(typeof part === 'string' ? { input: part } : part) };
    for (const key of splitKeys(ui, press)) {
      const result = handleKey(ui, key, { ...CONTEXT, ...context });
      ui = result.ui;
      if (result.command !== null) commands.push(result.command);
    }
  }
  return { ui, commands };
}

test('keys: Ctrl-U takes away what was typed of a question, and nothing else', () => {
  const { ui } = type(['a', '什么', { input: 'u', ctrl: true }, '水']);
  assert.equal(ui.ask?.prompt, '水');
  assert.equal(type(['a', '什么\u0015水']).ui.ask?.prompt, '水');
  assert.equal(type([{ input: 'u', ctrl: true }]).ui.ask, null);
});

test('keys: q stops, q again stops now, a third time changes nothing', () => {
  const { ui, commands } = type(['q', 'q', 'q']);
  assert.deepEqual(commands, [{ type: 'stop' }, { type: 'forceQuit' }]);
  assert.equal(ui.quit, 'now');
});

test('keys: Ctrl-C is q, also while a question is typed', () => {
  const { commands } = type(['a', '什', { input: 'c', ctrl: true }, { input: 'c', ctrl: true }]);
  assert.deepEqual(commands, [{ type: 'stop' }, { type: 'forceQuit' }]);
});

test('keys: p pauses a run that goes on, and lets a paused one go on', () => {
  assert.deepEqual(type(['p']).commands, [{ type: 'pause' }]);
  assert.deepEqual(type(['p'], { isPaused: true }).commands, [{ type: 'resume' }]);
});

test('keys: s and e ask for a save and an evaluation, and say so for a while', () => {
  const { ui, commands } = type(['s', 'e']);
  assert.deepEqual(commands, [{ type: 'save' }, { type: 'evaluate' }]);
  assert.deepEqual(ui.toast, { text: 'an evaluation is made after this step', until: 3500 });
});

test('keys: + and - count from what was asked last, within one worker and one per micro-batch', () => {
  const up = type(['+', '+', '+']);
  assert.deepEqual(up.commands, [
    { type: 'setWorkers', workers: 3 },
    { type: 'setWorkers', workers: 4 },
  ]);
  assert.equal(up.ui.toast?.text, 'a batch has 4 micro-batches: no use for more workers');
  const down = type(['-', '-', '-'], {}, up.ui);
  assert.deepEqual(
    down.commands,
    [3, 2, 1].map((workers) => ({ type: 'setWorkers', workers })),
  );
  assert.equal(type(['-'], {}, down.ui).ui.toast?.text, 'one worker is the least');
});

test('keys: f, l, ? switch, 1 2 3 enlarge and the same number again goes back', () => {
  const { ui, commands } = type(['f', 'l', '?', '2']);
  assert.deepEqual(commands, []);
  assert.deepEqual([ui.isFrozen, ui.scale, ui.isHelpOpen, ui.enlarged], [true, 'linear', false, 'workers']);
  const back = type(['f', 'l', '2'], {}, ui).ui;
  assert.deepEqual([back.isFrozen, back.scale, back.enlarged], [false, 'log', null]);
  assert.equal(type(['1', '3']).ui.enlarged, 'samples');
});

test('keys: Escape closes what is open', () => {
  const { ui } = type(['?', { escape: true }, '1', { escape: true }]);
  assert.deepEqual([ui.isHelpOpen, ui.enlarged, ui.ask], [false, null, null]);
});

test('keys: Ctrl-Z and Ctrl-L are for the terminal', () => {
  const { commands } = type([
    { input: 'z', ctrl: true },
    { input: 'l', ctrl: true },
  ]);
  assert.deepEqual(commands, [{ type: 'suspend' }, { type: 'redraw' }]);
});

test('keys: a question is typed with any characters, mended, and asked by Enter', () => {
  const { ui, commands } = type(['a', '什么', '是q', { erase: true }, 'R o', { return: true }]);
  assert.deepEqual(commands, [{ type: 'ask', prompt: '什么是R o' }]);
  assert.deepEqual(ui.ask, { phase: 'waiting', prompt: '什么是R o', answer: '' });
});

test('keys: the answer is shown for its own question only', () => {
  const { ui } = type(['a', '问', { return: true }]);
  assert.equal(withAnswer(ui, '别的', '答'), ui);
  assert.deepEqual(withAnswer(ui, '问', '答\u001b[2J').ask, { phase: 'answered', prompt: '问', answer: '答 [2J' });
  assert.equal(withAnswer(type([{ escape: true }], {}, ui).ui, '问', '答').ask, null);
});

test('keys: an empty question is none, and Escape gives one up', () => {
  assert.equal(type(['a', ' ', { return: true }]).ui.ask, null);
  assert.equal(type(['a', '问', { escape: true }]).ui.ask, null);
});

test('keys: without somebody to answer there is no question', () => {
  assert.equal(type(['a'], { canAsk: false }).ui.ask, null);
});

test('keys: two keys in one chunk count as two, pasted text as none', () => {
  assert.deepEqual(type(['qq']).commands, [{ type: 'stop' }, { type: 'forceQuit' }]);
  assert.deepEqual(type(['q stops the training']).commands, []);
});

test('keys: Ctrl-C counts wherever it comes in a chunk', () => {
  assert.deepEqual(type(['\u0003\u0003']).commands, [{ type: 'stop' }, { type: 'forceQuit' }]);
  assert.deepEqual(type(['pasted text \u0003']).commands, [{ type: 'stop' }]);
  assert.deepEqual(type(['a', '问\u007f什么\r']).commands, [{ type: 'ask', prompt: '什么' }]);
});

test('keys: who watches a run of another process can leave and change the view, and nothing else', () => {
  const { ui, commands } = type(['p', 's', 'e', '+', '=', '-', 'a'], { isWatching: true });
  assert.deepEqual(commands, []);
  assert.deepEqual(ui, createUiState());
  assert.deepEqual(type(['q'], { isWatching: true }).commands, [{ type: 'leave' }]);
  assert.deepEqual(type([{ input: 'c', ctrl: true }], { isWatching: true }).commands, [{ type: 'leave' }]);
  assert.equal(type(['f', '1'], { isWatching: true }).ui.enlarged, 'loss');
});
