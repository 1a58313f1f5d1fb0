/** kebab-case: the namespace of a plugin's variables, metrics and scopes. */
export const PLUGIN_NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
