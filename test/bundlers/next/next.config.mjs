export default { serverExternalPackages: ["nomyo-native"] };
