// The page: the form on one side, the object on the other, and what was made before below.

import "../upload/index";
import { part } from "./dom";
import { Page } from "./page";
import { installTheme } from "./theme";

installTheme(part<HTMLButtonElement>("theme"));
const page = new Page();

// three.js is most of the page's weight and must not hold up what can be read and clicked before.
requestAnimationFrame(() => setTimeout(() => void page.start()));
