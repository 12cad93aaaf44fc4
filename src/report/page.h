/* What page.c, svg.c and page_data.c share. */
#ifndef COPPICE_REPORT_PAGE_H
#define COPPICE_REPORT_PAGE_H

#include "report/report.h"

/** Text for HTML, in elements and in quoted attributes. */
void copi_page_escape(copi_buffer *b, const char *text);
/** The drawing of the frontier, as an <svg>. */
cop_status copi_page_frontier(copi_buffer *b, const copi_results *r, const copi_figures *f);
/** An open <path> of a method's mark at (x, y); the caller adds a <title> or nothing, and </path>. */
void copi_page_shape(copi_buffer *b, int method, const copi_style *style, bool tuned, double x, double y);
/** The setting whose training a method's curve shows: its best one; NULL where that did not train. */
const copi_setting *copi_page_curve(const copi_figures *f, int method);
/** What the page's script draws, as JSON that is safe inside a <script>. */
cop_status copi_page_data(copi_buffer *b, const copi_results *r, const copi_figures *f);

#endif
