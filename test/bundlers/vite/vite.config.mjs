// `external` wins over `noExternal`, which puts all other dependencies into the bundle.
export default {
  ssr: { noExternal: true, external: ["nomyo-native", "nomyo-native/router"] },
};
