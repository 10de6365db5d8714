# A shim: `node-gyp rebuild` and `prebuildify` run the one CMake build (CMakeLists.txt) through cmake-js.
{
  "targets": [
    {
      "target_name": "nomyo_native",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt", "native/CMakeLists.txt"],
          "outputs": ["build/Release/nomyo_native.node"],
          "action": ["node", "node_modules/cmake-js/bin/cmake-js", "build", "--out", "build/cmake"]
        }
      ]
    }
  ]
}
