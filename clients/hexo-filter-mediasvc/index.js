/* global hexo */
"use strict";

require("./lib/plugin").register(hexo);
