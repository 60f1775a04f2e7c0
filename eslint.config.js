import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["web/vendor/", "node_modules/", ".venv/"] },
  js.configs.recommended,
  {
    files: ["web/**/*.js"],
    languageOptions: { ecmaVersion: 2022, sourceType: "module", globals: globals.browser },
    rules: {
      "eqeqeq": "error",
      "no-console": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Names come from people: use textContent." },
        { property: "outerHTML", message: "Names come from people: use textContent." },
        { property: "insertAdjacentHTML", message: "Names come from people: use textContent." },
      ],
      "no-shadow": "error",
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
