/**
 * In a child of `Subject` (subject.ts): answers the parent's calls with what the functions give, or their error's
 * facts.
 */
module.exports = function answerCalls(functions) {
  process.on("message", ({ id, name, args }) => {
    Promise.resolve()
      .then(() => functions[name](...args))
      .then(
        (value) => process.send({ id, value }),
        ({ name: errorName, code, message, option }) =>
          process.send({ id, error: { name: errorName, code, message, option } }),
      );
  });
  process.send({ ready: true });
};
