// @ts-check
/**
 * Light or dark: as the system has it, or as this browser's user chose. Loaded as a plain script in the head, so that the
 * choice holds before anything is painted; hence the block instead of a module's own scope.
 */
{
  const KEY = "surveillx-theme";
  const root = document.documentElement;

  /** @param {string} choice */
  const remember = (choice) => {
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // Browsers may refuse to store anything; then the choice lasts until the page is left.
    }
  };

  const remembered = () => {
    try {
      return localStorage.getItem(KEY) ?? "";
    } catch {
      return "";
    }
  };

  const apply = () => {
    root.dataset.theme = remembered();
  };

  apply();
  // Another page of ours in another tab: both follow.
  addEventListener("storage", apply);
  document.addEventListener("DOMContentLoaded", () => {
    const choice = document.querySelector("#theme");
    if (choice instanceof HTMLSelectElement) {
      choice.value = root.dataset.theme ?? "";
      choice.addEventListener("change", () => {
        root.dataset.theme = choice.value;
        remember(choice.value);
      });
      addEventListener("storage", () => {
        choice.value = root.dataset.theme ?? "";
      });
    }
  });
}
