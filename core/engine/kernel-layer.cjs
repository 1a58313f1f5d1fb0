"use strict";
/**
 * The kernel layer of @tensorflow/tfjs-node-gpu: what turns tfjs ops into TensorFlow ops through a binding.
 * Its native addon is not loaded. The package build bundles this file, so that installing relata neither
 * installs tfjs-node-gpu nor runs its install script.
 */
const util = require("node:util");

// Removed in Node 23; the kernel layer still calls them.
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
util.isArray ??= Array.isArray;

require("@tensorflow/tfjs-node-gpu/dist/register_all_kernels");
exports.NodeJSKernelBackend =
  require("@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend").NodeJSKernelBackend;
