// A look into a file: tables, text and pictures. Everything is put in as text; nothing of it is run.

import { dialog, glovebox, node, say, size } from './core.js';

const TEXT_BYTES = 128 * 1024;
const PICTURE_BYTES = 32 * 1024 * 1024;
const ROWS = 100;
const COLUMNS = 40;
const PICTURES = /\.(png|jpe?g|gif|webp|avif|bmp|svg)$/i;
const TABLES = /\.(csv|tsv|tab)$/i;

export async function preview(file, url) {
  const body = node('div', { class: 'gb-preview', tabindex: '0', role: 'region', 'aria-label': file.path }, node('p', {}, say('loading')));
  const load = node('a', { class: 'gb-btn', href: url, download: true }, `${say('download')} · ${size(file.size)}`);
  const shown = dialog(file.path, node('div', { class: 'gb-previews' }, body, node('footer', {}, load)), { class: 'gb-dialog gb-wide' });
  try {
    body.replaceChildren(...(await looked(file, url)));
  } catch {
    body.replaceChildren(node('p', {}, say('preview_failed')));
  }
  return shown;
}

async function looked(file, url) {
  if (PICTURES.test(file.path) && file.size <= PICTURE_BYTES) {
    const picture = node('img', { src: url, alt: say('picture_of', { name: file.path }) });
    picture.addEventListener('error', () => picture.replaceWith(node('p', {}, say('preview_failed'))));
    return [picture];
  }
  if (!file.size) return [node('p', {}, say('empty_file'))];
  const answer = await fetch(url, { headers: { Range: `bytes=0-${TEXT_BYTES - 1}` } });
  if (!answer.ok) throw new Error(String(answer.status));
  const bytes = new Uint8Array(await firstBytes(answer));
  if (bytes.includes(0)) return [node('p', {}, say('no_preview'))];
  const cut = file.size > bytes.length;
  const text = new TextDecoder().decode(bytes);
  if (TABLES.test(file.path)) return table(cut ? text.slice(0, text.lastIndexOf('\n') + 1) || text : text, cut);
  const more = cut ? [node('p', { class: 'gb-none' }, say('text_cut', { size: size(bytes.length) }))] : [];
  return [node('pre', {}, text), ...more];
}

// Not more than was asked for, whoever answers.
async function firstBytes(answer) {
  const reader = answer.body.getReader();
  const chunks = [];
  let length = 0;
  while (length < TEXT_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  reader.cancel().catch(() => {});
  return new Blob(chunks).slice(0, TEXT_BYTES).arrayBuffer();
}

function table(text, cut) {
  const rows = split(text, delimiter(text));
  const [head = [], ...rest] = rows;
  const wide = Math.max(...rows.slice(0, ROWS + 1).map((row) => row.length), 0);
  const cells = (row, kind) => row.slice(0, COLUMNS).map((cell) => node(kind, kind === 'th' ? { scope: 'col' } : {}, cell));
  const shown = node('table', {}, node('thead', {}, node('tr', {}, cells(head, 'th'))),
    node('tbody', {}, rest.slice(0, ROWS).map((row) => node('tr', {}, cells(row, 'td')))));
  const notes = [];
  if (cut || rest.length > ROWS) notes.push(say('rows_cut', { rows: Math.min(rest.length, ROWS) }));
  if (wide > COLUMNS) notes.push(say('columns_cut', { columns: COLUMNS, total: wide }));
  return [shown, ...notes.map((note) => node('p', { class: 'gb-none' }, note))];
}

export function delimiter(text) {
  const line = text.slice(0, 4000).split('\n', 1)[0];
  const counted = ['\t', ';', ',', '|'].map((each) => [line.split(each).length, each]);
  counted.sort((a, b) => b[0] - a[0]);
  return counted[0][0] > 1 ? counted[0][1] : ',';
}

// RFC 4180, with any delimiter; of a broken table whatever can be read.
export function split(text, between) {
  const rows = [];
  let row = [];
  let cell = '';
  let quoted = false;
  for (let at = 0; at < text.length && rows.length <= ROWS + 1; at += 1) {
    const sign = text[at];
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') { cell += '"'; at += 1; } else quoted = false;
    } else if (sign === '"' && cell === '') quoted = true;
    else if (sign === between) { row.push(cell); cell = ''; } else if (sign === '\n') {
      row.push(cell);
      rows.push(row);
      row = [];
      cell = '';
    } else if (sign !== '\r') cell += sign;
  }
  if (cell || row.length) rows.push([...row, cell]);
  return rows;
}
