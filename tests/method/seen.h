/* What a method reported, with copies of the nets. */
#ifndef COPPICE_TEST_SEEN_H
#define COPPICE_TEST_SEEN_H

#include "../train/little.h"
#include "method/method.h"

typedef struct seen {
    cop_point point[16];
    cop_net *net[16];
    int epochs[16]; /* entries of the point's history */
    int points, stop_after;
} seen;
static inline int see(void *user, const cop_point *point, const cop_net *net) {
    seen *s = user;
    assert_true(s->points < 16);
    s->point[s->points] = *point;
    s->epochs[s->points] = point->history.count;
    s->net[s->points++] = little_clone(net);
    return s->points == s->stop_after;
}
static inline void forget(seen *s) {
    for (int i = 0; i < s->points; i++) cop_net_destroy(s->net[i]);
    *s = (seen){0};
}

#endif
