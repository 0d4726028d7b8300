// What can be done in the conversation; goes on where conversation.js ends, in the same function.
const keyOf = (node) => node.closest('[data-key]');
const idOf = (node) => node.closest('.gb-message')?.dataset.id;
let done = '';

// A double click does it once; something else may follow at once.
function act(name, data = {}) {
  const wanted = JSON.stringify([name, data]);
  if (wanted === done) return;
  done = wanted;
  setTimeout(() => { if (done === wanted) done = ''; }, 700);
  trigger('act', { act: name, ...data });
}

const ACTS = {
  copy: (button) => copy(button, button.closest('.gb-cell, .gb-codeblock')?.querySelector('code') ?? button.closest('.gb-message')),
  'copy-answer': (button) => copy(button, [...button.closest('.gb-message').querySelectorAll('.gb-said')]),
  example: (button) => {
    for (const each of welcomePage.querySelectorAll('.gb-example')) each.disabled = true;
    setTimeout(() => welcomePage.querySelectorAll('.gb-example').forEach((each) => { each.disabled = false; }), 5000);
    act('example', { number: Number(button.dataset.number) });
  },
  show: (button) => act('show', { id: button.dataset.to }),
  regenerate: (button) => { atEnd = true; act('regenerate', { id: idOf(button), resume: button.dataset.resume ?? '' }); },
  'regenerate-with': (button) => chooseModel(button),
  'run-cell': (button) => { atEnd = true; act('run-cell', { cell: button.dataset.cell }); },
  'run-all': (button) => runAll(button.dataset.cells.split(' ')),
  'ask-delete': (button) => confirmDelete(button),
  approve: (button) => act('decide', { call: button.dataset.call, decision: 'run' }),
  refuse: (button) => act('decide', { call: button.dataset.call, decision: 'refuse' }),
  'edit-approval': (button) => {
    const cell = button.closest('.gb-cell');
    edit(cell, cell.querySelector('.gb-code'), cell.querySelector('.gb-code').textContent, words.run, true,
      (code) => act('decide', { call: button.dataset.call, decision: 'run', code }));
  },
  'edit-cell': (button) => {
    const cell = button.closest('.gb-cell');
    cell.querySelector('details').open = true;
    edit(cell, cell.querySelector('.gb-code'), cell.querySelector('.gb-code').textContent, words.run, true,
      (code) => { atEnd = true; act('run', { code }); });
  },
  'edit-question': (button) => {
    const message = button.closest('.gb-message');
    const bubble = message.querySelector('.gb-bubble');
    edit(message.firstElementChild, bubble, bubble.dataset.raw, words.ask, false, (text) => {
      atEnd = true;
      act('edit', { id: message.dataset.id, text, attachments: JSON.parse(bubble.dataset.attachments ?? '[]') });
    });
  },
  enlarge: (link) => enlarge(link),
  look: (button) => look(button),
};

element.addEventListener('click', (event) => {
  const target = event.target.closest('[data-act]');
  if (!target || (target.dataset.act === 'enlarge' && (event.ctrlKey || event.metaKey || event.shiftKey))) return;
  event.preventDefault();
  ACTS[target.dataset.act]?.(target);
});
// Whoever folded or unfolded something keeps it so, whatever the cell does next.
element.addEventListener('click', (event) => {
  const summary = event.target.closest('summary');
  if (summary) summary.parentElement.touched = true;
}, true);

function copy(button, from) {
  const message = from.classList?.contains('gb-message') ? from.querySelector('.gb-bubble').dataset.raw : null;
  const text = message ?? [from].flat().map((part) => part.innerText).join('\n\n');
  const tell = () => {
    button.classList.add('gb-done');
    said.textContent = words.copied;
    setTimeout(() => button.classList.remove('gb-done'), 1400);
  };
  // Without TLS, and not on this very host, a browser has no clipboard for us but the old way.
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(tell, () => oldCopy(text, tell));
  else oldCopy(text, tell);
}

function oldCopy(text, tell) {
  const box = Object.assign(document.createElement('textarea'), { value: text });
  element.append(box);
  box.select();
  if (document.execCommand('copy')) tell();
  box.remove();
}

const made = (tag, text, className, parent) => {
  const node = Object.assign(document.createElement(tag), { className });
  if (text) node.textContent = text;
  if (tag === 'button') node.type = 'button';
  parent?.append(node);
  return node;
};

// An editor in place of what is edited.
function edit(inside, instead, text, label, isCode, done) {
  if (inside.querySelector('.gb-editor')) return;
  const editor = made('div', '', 'gb-editor');
  const box = made('textarea', '', isCode ? 'gb-code-box' : '', editor);
  box.value = text;
  box.ariaLabel = label;
  box.spellcheck = !isCode;
  const fit = () => { box.style.height = 'auto'; box.style.height = `${Math.min(box.scrollHeight + 4, 480)}px`; };
  const row = made('div', '', 'gb-editor-row', editor);
  const cancel = made('button', words.cancel, 'gb-button', row);
  const send = made('button', label, 'gb-button gb-primary', row);
  const close = () => {
    const block = keyOf(editor);
    editor.remove();
    instead.hidden = false;
    if (block?.waiting) { fill(block, block.waiting); delete block.waiting; }
  };
  const submit = () => { const value = box.value; close(); if (value.trim()) done(value); };
  cancel.addEventListener('click', close);
  send.addEventListener('click', submit);
  box.addEventListener('input', fit);
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') close();
    const together = event.ctrlKey || event.metaKey || event.shiftKey;
    if (event.key === 'Enter' && (isCode ? together : !event.shiftKey) && !event.isComposing) { event.preventDefault(); submit(); }
    if (event.key === 'Tab' && isCode && !event.shiftKey) { event.preventDefault(); document.execCommand('insertText', false, '    '); }
  });
  instead.hidden = true;
  instead.after(editor);
  fit();
  box.focus();
}

function confirmDelete(button) {
  const block = keyOf(button);
  if (block.querySelector('.gb-confirm')) return;
  const box = made('div', '', 'gb-confirm', block);
  made('span', words.removeAsked, '', box);
  const remove = made('button', words.remove, 'gb-button gb-danger', box);
  const keep = made('button', words.keep, 'gb-button', box);
  remove.addEventListener('click', () => { act('delete', { id: idOf(button) }); box.remove(); });
  keep.addEventListener('click', () => { box.remove(); button.focus(); });
  keep.focus();
}

// For this one answer only: which models there are is asked when somebody wants to know.
async function chooseModel(button) {
  const block = keyOf(button);
  const shown = block.querySelector('.gb-models');
  shown?.remove();
  if (shown) return;
  const box = made('div', '', 'gb-confirm gb-models', block);
  box.role = 'group';
  box.ariaLabel = words.otherModel;
  const answer = await fetch(new URL('api/models', document.baseURI)).catch(() => null);
  const models = answer?.ok ? await answer.json() : [];
  const others = models.filter((each) => each.available && each.id !== button.dataset.model);
  made('span', others.length ? words.otherModel : words.noOtherModel, '', box);
  for (const each of others) {
    made('button', each.id, 'gb-button', box).addEventListener('click', () => {
      atEnd = true;
      box.remove();
      act('regenerate', { id: idOf(button), model: each.id });
    });
  }
  const close = made('button', words.cancel, 'gb-button', box);
  close.addEventListener('click', () => { box.remove(); button.focus(); });
  box.addEventListener('keydown', (event) => { if (event.key === 'Escape') close.click(); });
  box.querySelector('button').focus();
  box.scrollIntoView({ block: 'nearest' });
}

// A picture in its own size, with all others of the conversation beside it.
function enlarge(link) {
  const links = [...log.querySelectorAll('a.gb-picture')];
  let at = links.indexOf(link);
  const dialog = made('dialog', '', 'gb-large', element);
  dialog.ariaLabel = words.picture;
  const image = made('img', '', '', dialog);
  const row = made('div', '', 'gb-large-row', dialog);
  const caption = made('span', '', '', row);
  const download = made('a', words.download, 'gb-button', row);
  const close = made('button', words.close, 'gb-button', row);
  const turn = (to) => {
    at = to;
    image.src = download.href = links[at].href;
    image.alt = caption.textContent = links[at].querySelector('img').alt;
    download.download = decodeURIComponent(links[at].href.split('/').pop()).replace(/^[0-9a-f]{56}([0-9a-f]{8})/, '$1');
  };
  turn(at);
  dialog.addEventListener('click', (event) => { if (event.target === dialog || event.target === image) dialog.close(); });
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft' && at > 0) turn(at - 1);
    if (event.key === 'ArrowRight' && at < links.length - 1) turn(at + 1);
  });
  dialog.addEventListener('close', () => { dialog.remove(); link.focus(); });
  dialog.showModal();
}

// A file in place, below its chip; a second click takes it away.
function look(button) {
  const chips = button.closest('.gb-chips');
  const shown = chips.nextElementSibling?.matches('.gb-look') ? chips.nextElementSibling : null;
  shown?.remove();
  if (shown?.dataset.href === button.dataset.href) return;
  const { kind, href } = button.dataset;
  const place = made('div', '', 'gb-look');
  place.dataset.href = href;
  if (kind === 'picture') {
    const link = made('a', '', 'gb-picture', place);
    link.href = href;
    link.dataset.act = 'enlarge';
    const image = made('img', '', '', link);
    image.alt = decodeURIComponent(href.split('/').pop());
    image.src = href;
  } else if (kind === 'sound') {
    const sound = made('audio', '', '', place);
    sound.controls = true;
    sound.src = href;
  } else {
    const frame = made('iframe', '', 'gb-paper', place);
    frame.title = button.ariaLabel ?? 'PDF';
    frame.src = href;
  }
  chips.after(place);
}

window.glovebox = Object.assign(window.glovebox ?? {}, { watch });
watch(document.querySelector('#session textarea, #session input')?.value ?? '');
