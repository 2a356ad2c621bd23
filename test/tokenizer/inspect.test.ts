import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatInspection, inspectText } from '../../src/tokenizer/inspect.js';
import { createTokenizer, parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainBpe } from '../../src/tokenizer/train.js';
import { incomplete } from './fixtures.js';

const tokenizer = createTokenizer(trainBpe(['注意力', '注意力', ' GPT', ' GPT'], { vocabSize: 300 }));

// Byte ids by hand: 4 specials, then ! to ~, then U+00A1 to U+00AC, then U+00AE to U+0143. E5 = 4 + 94 + 12 + (0xE5 - 0xAE) = 165.
// 8 merges make 注意力 and 3 make " GPT", so the last id is 270.
test('inspect: aligns the columns under Chinese characters', () => {
  const table = formatInspection(inspectText(tokenizer, '注意力 GPT\n好'));
  assert.equal(
    table,
    [
      ' id  piece   bytes',
      '270  注意力  E6 B3 A8 E6 84 8F E5 8A 9B',
      '269  ␣GPT    20 47 50 54',
      '202  \\n      0A',
      '165  \\xE5    E5',
      '102  \\xA5    A5',
      '125  \\xBD    BD',
      '6 tokens, 17 bytes; decodes to the same text.',
      '',
    ].join('\n'),
  );
});

test('inspect: says what a text becomes when its bytes are unknown', () => {
  const foreign = parseTokenizer(incomplete.tokenizer, 'incomplete.json');
  const inspection = inspectText(foreign, '@');
  assert.deepEqual(inspection, {
    text: '@',
    tokens: [{ id: 3, piece: '<unk>', bytes: '' }],
    decoded: '',
    roundTrips: false,
  });
  assert.match(formatInspection(inspection), /\n1 token, 1 byte; does not decode to the same text but to ""\.\n$/);
});

test('inspect: an empty text has no tokens', () => {
  assert.equal(
    formatInspection(inspectText(tokenizer, '')),
    'id  piece  bytes\n0 tokens, 0 bytes; decodes to the same text.\n',
  );
});
