/** Loads packages that were made for bundlers (CommonJS) as they are, with what they require. */

const FILES = {
  "@eyevinn/webrtc-player": "@eyevinn/webrtc-player/dist/main.js",
  "@eyevinn/whpp-client": "@eyevinn/whpp-client/dist/whpp-client.js",
  events: "events/events.js",
};
/** Advertisements, which the player shows only where it is given a list of them; the package requires 1.5 MB. */
const LEFT_OUT = "@eyevinn/csai-manager";

export async function requireCommonJs(name) {
  const loaded = { [LEFT_OUT]: {} };
  for (const each of ["events", "@eyevinn/whpp-client", name]) {
    const source = await (await fetch(`/node_modules/${FILES[each]}`)).text();
    const module = { exports: {} };
    new Function("module", "exports", "require", source)(module, module.exports, (wanted) => loaded[wanted]);
    loaded[each] = module.exports;
  }
  return loaded[name];
}
