// The form of the filters: the same as the options of `exai monitor tail`.
const COMMAS = ['types', 'directions', 'functions'];
const LINES = ['grep', 'exclude'];
const WORDS = ['slower', 'session', 'request'];

export const NONE = {
  types: [], directions: [], functions: [], grep: [], exclude: [],
  errors: false, slower: '', session: '', request: '',
};

export class Filters {
  /** `changed(parts)` gets the parts of a view that the form holds. */
  constructor({ form, problem, clear, types, changed }) {
    Object.assign(this, { form, problem, types, changed });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      changed(this.read());
    });
    form.addEventListener('change', () => changed(this.read()));
    form.addEventListener('keydown', (key) => {
      if (key.key === 'Enter' && key.ctrlKey) changed(this.read());
    });
    clear.addEventListener('click', () => changed(NONE));
  }

  read() {
    const of = (name) => this.form.elements[name];
    const parts = { errors: of('errors').checked };
    for (const name of COMMAS) parts[name] = split(of(name).value, /[\s,]+/);
    for (const name of LINES) parts[name] = split(of(name).value, /\n/);
    for (const name of WORDS) parts[name] = of(name).value.trim();
    return parts;
  }

  show(view) {
    const put = (name, value) => {
      const field = this.form.elements[name];
      if (field.value !== value) field.value = value;
    };
    this.form.elements.errors.checked = view.errors;
    for (const name of COMMAS) put(name, view[name].join(', '));
    for (const name of LINES) put(name, view[name].join('\n'));
    for (const name of WORDS) put(name, view[name]);
  }

  /** Say what is wrong with the filter; nothing when it is right. */
  refuse(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }

  /** Offer the types that were seen. */
  know(names) {
    const known = names.join('\n');
    if (known === this.known) return;
    this.known = known;
    this.types.replaceChildren(...names.map((name) => new Option(name)));
  }
}

function split(text, by) {
  return text.split(by).map((one) => one.trim()).filter(Boolean);
}
