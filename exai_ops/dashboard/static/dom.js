// Elements made and changed without markup: what an event says is only ever text.

/** A new element; `attributes` are set as such, children are elements or text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Set a text, and touch nothing when it is the same. */
export function say(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/** Set or remove a class by which a state is shown. */
export function mark(where, value) {
  if (where.className !== value) where.className = value;
}

/**
 * Bring a table's body to these rows, reusing what is there.
 * A row is {cells: [text or {text, mark, press, label}], mark}; `press` makes a button of a cell, `label` is
 * shown when it is pointed at.
 */
export function fill(body, rows, columns) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  while (body.rows.length < rows.length) {
    const row = body.insertRow();
    for (const column of columns) row.insertCell().dataset.label = column;
  }
  rows.forEach((wanted, index) => {
    const row = body.rows[index];
    mark(row, wanted.mark || '');
    wanted.cells.forEach((cell, at) => fillCell(row.cells[at], cell));
  });
}

function fillCell(where, cell) {
  const given = typeof cell === 'object' ? cell : { text: cell };
  mark(where, given.mark || '');
  if (where.title !== (given.label || '')) where.title = given.label || '';
  let button = where.firstElementChild;
  if (!given.press) {
    say(where, given.text);
    return;
  }
  if (!button) {
    where.textContent = '';
    button = element('button', { type: 'button', class: 'link' });
    button.addEventListener('click', () => button.press());
    where.append(button);
  }
  say(button, given.text);
  button.press = given.press;
}

/** The table's columns as a header, and its body. */
export function table(where, columns) {
  const head = element('tr', {}, ...columns.map((name) => element('th', { scope: 'col' }, name)));
  const body = element('tbody');
  where.append(element('thead', {}, head), body);
  return body;
}
