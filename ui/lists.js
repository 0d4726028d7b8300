// Runs once in the list of sessions (js_on_load): clicks on its rows become events of the component.
window.glovebox.mount('sessions', element, trigger);
const rowOf = (node) => node.closest('[data-id]');

element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button) return;
  const act = button.dataset.act;
  // A link opened in another tab is the browser's business.
  if (act === 'choose' && (event.ctrlKey || event.metaKey || event.shiftKey)) return;
  event.preventDefault();
  const row = rowOf(button);
  const id = row.dataset.id;
  if (act === 'choose') trigger('choose', { id });
  if (act === 'edit') {
    row.classList.add('gb-renaming');
    const input = row.querySelector('input');
    input.focus();
    input.select();
  }
  if (act === 'ask') {
    row.classList.add('gb-asking');
    row.querySelector('[data-act=keep]').focus();
  }
  if (act === 'keep') row.classList.remove('gb-asking');
  if (act === 'discard') trigger('discard', { id });
});

element.addEventListener('keydown', (event) => {
  const row = rowOf(event.target);
  if (!row) return;
  if (event.key === 'Escape') row.classList.remove('gb-renaming', 'gb-asking');
  if (event.key !== 'Enter' || event.target.tagName !== 'INPUT') return;
  row.classList.remove('gb-renaming');
  const name = event.target.value.trim();
  if (name) trigger('rename', { id: row.dataset.id, name });
});

element.addEventListener('focusout', (event) => {
  if (event.target.tagName === 'INPUT') rowOf(event.target)?.classList.remove('gb-renaming');
});
