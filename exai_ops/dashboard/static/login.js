// The login page: keeps the filters of the URL, in clear and dark.
import { applyTheme } from './theme.js';

applyTheme();
document.getElementById('login').action = '/dashboard/login' + location.search;

// A link from another site arrives without the cookie (it is SameSite=Strict), though there may be one.
const TRIED = 'exai-login-tried';
const told = await (await fetch('/dashboard/session', { cache: 'no-store' })).json();
if (!told.in) sessionStorage.removeItem(TRIED);
else if (!sessionStorage.getItem(TRIED)) {
  sessionStorage.setItem(TRIED, 'yes');
  location.replace('/dashboard' + location.search);
}
