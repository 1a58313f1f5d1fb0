import type { Pass, SetupContext } from "../contexts.ts";
import { errors } from "../errors.ts";

/**
 * The passes between which a plugin compares patches: the teacher's over its view group, and the student's over all.
 *
 * @throws VIEW_GROUP_MISSING, and NO_VIEW_PAIRS for a single view
 */
export function comparedPasses(setup: SetupContext, plugin: string, globalViews: string): readonly Pass[] {
  const { count } = setup.viewGroup(globalViews);
  if (count === 1 && setup.views.every(({ group }) => group === globalViews))
    throw errors.noViewPairs(plugin, globalViews);
  const outputs = { patches: true };
  const [student, teacher] = [setup.network("student"), setup.network("teacher")];
  return [
    setup.pass({ network: teacher, views: globalViews, outputs }),
    ...setup.views.map(({ group }) => setup.pass({ network: student, views: group, outputs })),
  ];
}
