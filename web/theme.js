// @ts-check
/**
 * Light or dark: as the system has it, or as this browser's user chose. Loaded as a plain script in the head, so that the
 * choice holds before anything is painted; hence the block instead of a module's own scope.
 */
{
  const KEY = "surveillx-theme";
  const root = document.documentElement;

  const remembered = () => {
    try {
      return localStorage.getItem(KEY) ?? "";
    } catch {
      return "";
    }
  };

  /** @param {string} choice */
  const remember = (choice) => {
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // Browsers may refuse to store anything; then the choice lasts until the page is left.
    }
  };

  /** @param {string} choice */
  const apply = (choice) => {
    root.dataset.theme = choice;
    const select = document.querySelector("#theme");
    if (select instanceof HTMLSelectElement) {
      select.value = choice;
    }
  };

  apply(remembered());
  document.addEventListener("DOMContentLoaded", () => apply(root.dataset.theme ?? ""));
  // At the document, so that it is heard however long the page's other scripts take to come.
  document.addEventListener("change", ({ target }) => {
    if (target instanceof HTMLSelectElement && target.id === "theme") {
      apply(target.value);
      remember(target.value);
    }
  });
  // Chosen in another tab: all follow.
  addEventListener("storage", () => apply(remembered()));
}
